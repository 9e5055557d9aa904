-- An id, and a uid, stands once in its registry.
SELECT table_name, identifier, count(*) AS times
FROM (
    SELECT 'sources' AS table_name, id::VARCHAR AS identifier FROM sources
    UNION ALL
    SELECT 'organisms', id::VARCHAR FROM organisms
    UNION ALL
    SELECT 'genes', id::VARCHAR FROM genes
    UNION ALL
    SELECT 'proteins', id::VARCHAR FROM proteins
    UNION ALL
    SELECT 'cell_types', id::VARCHAR FROM cell_types
    UNION ALL
    SELECT 'tissues', id::VARCHAR FROM tissues
    UNION ALL
    SELECT 'diseases', id::VARCHAR FROM diseases
    UNION ALL
    SELECT 'cell_lines', id::VARCHAR FROM cell_lines
    UNION ALL
    SELECT 'phenotypes', id::VARCHAR FROM phenotypes
    UNION ALL
    SELECT 'pathways', id::VARCHAR FROM pathways
    UNION ALL
    SELECT 'developmental_stages', id::VARCHAR FROM developmental_stages
    UNION ALL
    SELECT 'experimental_factors', id::VARCHAR FROM experimental_factors
    UNION ALL
    SELECT 'ethnicities', id::VARCHAR FROM ethnicities
    UNION ALL
    SELECT 'sources', 'uid ' || uid FROM sources
    UNION ALL
    SELECT 'organisms', 'uid ' || uid FROM organisms
    UNION ALL
    SELECT 'genes', 'uid ' || uid FROM genes
    UNION ALL
    SELECT 'proteins', 'uid ' || uid FROM proteins
    UNION ALL
    SELECT 'cell_types', 'uid ' || uid FROM cell_types
    UNION ALL
    SELECT 'tissues', 'uid ' || uid FROM tissues
    UNION ALL
    SELECT 'diseases', 'uid ' || uid FROM diseases
    UNION ALL
    SELECT 'cell_lines', 'uid ' || uid FROM cell_lines
    UNION ALL
    SELECT 'phenotypes', 'uid ' || uid FROM phenotypes
    UNION ALL
    SELECT 'pathways', 'uid ' || uid FROM pathways
    UNION ALL
    SELECT 'developmental_stages', 'uid ' || uid FROM developmental_stages
    UNION ALL
    SELECT 'experimental_factors', 'uid ' || uid FROM experimental_factors
    UNION ALL
    SELECT 'ethnicities', 'uid ' || uid FROM ethnicities
)
GROUP BY table_name, identifier
HAVING count(*) > 1;
