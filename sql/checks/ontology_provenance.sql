-- Users, runs, branches and spaces that terms and sources name are there.
WITH named AS (
    SELECT 'sources' AS table_name, id, created_by_id, run_id, branch_id, space_id FROM sources
    UNION ALL
    SELECT 'organisms', id, created_by_id, run_id, branch_id, space_id FROM organisms
    UNION ALL
    SELECT 'genes', id, created_by_id, run_id, branch_id, space_id FROM genes
    UNION ALL
    SELECT 'proteins', id, created_by_id, run_id, branch_id, space_id FROM proteins
    UNION ALL
    SELECT 'cell_types', id, created_by_id, run_id, branch_id, space_id FROM cell_types
    UNION ALL
    SELECT 'tissues', id, created_by_id, run_id, branch_id, space_id FROM tissues
    UNION ALL
    SELECT 'diseases', id, created_by_id, run_id, branch_id, space_id FROM diseases
    UNION ALL
    SELECT 'cell_lines', id, created_by_id, run_id, branch_id, space_id FROM cell_lines
    UNION ALL
    SELECT 'phenotypes', id, created_by_id, run_id, branch_id, space_id FROM phenotypes
    UNION ALL
    SELECT 'pathways', id, created_by_id, run_id, branch_id, space_id FROM pathways
    UNION ALL
    SELECT 'developmental_stages', id, created_by_id, run_id, branch_id, space_id FROM developmental_stages
    UNION ALL
    SELECT 'experimental_factors', id, created_by_id, run_id, branch_id, space_id FROM experimental_factors
    UNION ALL
    SELECT 'ethnicities', id, created_by_id, run_id, branch_id, space_id FROM ethnicities
)

SELECT 'user' AS missing, n.* FROM named AS n
ANTI JOIN users AS u ON n.created_by_id = u.id
WHERE n.created_by_id IS NOT NULL
UNION ALL
SELECT 'run', n.* FROM named AS n
ANTI JOIN runs AS r ON n.run_id = r.id
WHERE n.run_id IS NOT NULL
UNION ALL
SELECT 'branch', n.* FROM named AS n
ANTI JOIN branches AS b ON n.branch_id = b.id
UNION ALL
SELECT 'space', n.* FROM named AS n
ANTI JOIN spaces AS s ON n.space_id = s.id;
