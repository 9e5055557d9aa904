-- Sources and organisms that terms name are there.
WITH named AS (
    SELECT 'organisms' AS table_name, id, source_id, NULL::BIGINT AS organism_id FROM organisms
    UNION ALL
    SELECT 'genes', id, source_id, organism_id FROM genes
    UNION ALL
    SELECT 'proteins', id, source_id, organism_id FROM proteins
    UNION ALL
    SELECT 'cell_types', id, source_id, NULL::BIGINT FROM cell_types
    UNION ALL
    SELECT 'tissues', id, source_id, NULL::BIGINT FROM tissues
    UNION ALL
    SELECT 'diseases', id, source_id, NULL::BIGINT FROM diseases
    UNION ALL
    SELECT 'cell_lines', id, source_id, NULL::BIGINT FROM cell_lines
    UNION ALL
    SELECT 'phenotypes', id, source_id, NULL::BIGINT FROM phenotypes
    UNION ALL
    SELECT 'pathways', id, source_id, NULL::BIGINT FROM pathways
    UNION ALL
    SELECT 'developmental_stages', id, source_id, NULL::BIGINT FROM developmental_stages
    UNION ALL
    SELECT 'experimental_factors', id, source_id, NULL::BIGINT FROM experimental_factors
    UNION ALL
    SELECT 'ethnicities', id, source_id, NULL::BIGINT FROM ethnicities
)

SELECT 'source' AS missing, n.* FROM named AS n
ANTI JOIN sources AS s ON n.source_id = s.id
WHERE n.source_id IS NOT NULL
UNION ALL
SELECT 'organism', n.* FROM named AS n
ANTI JOIN organisms AS o ON n.organism_id = o.id
WHERE n.organism_id IS NOT NULL;
