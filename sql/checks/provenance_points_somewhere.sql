-- Users, runs, branches and spaces that rows name are there.
WITH named AS (
    SELECT 'users' AS table_name, id, created_by_id, run_id, branch_id, space_id FROM users
    UNION ALL
    SELECT 'transforms', id, created_by_id, run_id, branch_id, space_id FROM transforms
    UNION ALL
    SELECT 'runs', id, created_by_id, run_id, branch_id, space_id FROM runs
    UNION ALL
    SELECT 'features', id, created_by_id, run_id, branch_id, space_id FROM features
    UNION ALL
    SELECT 'ulabels', id, created_by_id, run_id, branch_id, space_id FROM ulabels
    UNION ALL
    SELECT 'records', id, created_by_id, run_id, branch_id, space_id FROM records
    UNION ALL
    SELECT 'artifacts', id, created_by_id, run_id, branch_id, space_id FROM artifacts
    UNION ALL
    SELECT 'typed_values', id, created_by_id, run_id, branch_id, space_id FROM typed_values
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
