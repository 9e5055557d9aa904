-- Outside the trash, a term of an ontology stands once.
SELECT table_name, identifier, count(*) AS times
FROM (
    SELECT 'organisms' AS table_name, ontology_id AS identifier FROM organisms WHERE branch_id <> -1
    UNION ALL
    SELECT 'cell_types', ontology_id FROM cell_types WHERE branch_id <> -1
    UNION ALL
    SELECT 'tissues', ontology_id FROM tissues WHERE branch_id <> -1
    UNION ALL
    SELECT 'diseases', ontology_id FROM diseases WHERE branch_id <> -1
    UNION ALL
    SELECT 'cell_lines', ontology_id FROM cell_lines WHERE branch_id <> -1
    UNION ALL
    SELECT 'phenotypes', ontology_id FROM phenotypes WHERE branch_id <> -1
    UNION ALL
    SELECT 'pathways', ontology_id FROM pathways WHERE branch_id <> -1
    UNION ALL
    SELECT 'developmental_stages', ontology_id FROM developmental_stages WHERE branch_id <> -1
    UNION ALL
    SELECT 'experimental_factors', ontology_id FROM experimental_factors WHERE branch_id <> -1
    UNION ALL
    SELECT 'ethnicities', ontology_id FROM ethnicities WHERE branch_id <> -1
    UNION ALL
    SELECT 'genes', ensembl_gene_id FROM genes WHERE branch_id <> -1
    UNION ALL
    SELECT 'genes', stable_id FROM genes WHERE branch_id <> -1
    UNION ALL
    SELECT 'proteins', uniprotkb_id FROM proteins WHERE branch_id <> -1
)
WHERE identifier IS NOT NULL
GROUP BY table_name, identifier
HAVING count(*) > 1;
