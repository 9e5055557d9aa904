-- A uid stands once in its registry.
SELECT table_name, uid, count(*) AS times
FROM (
    SELECT 'users' AS table_name, uid FROM users
    UNION ALL
    SELECT 'branches', uid FROM branches
    UNION ALL
    SELECT 'spaces', uid FROM spaces
    UNION ALL
    SELECT 'transforms', uid FROM transforms
    UNION ALL
    SELECT 'runs', uid FROM runs
    UNION ALL
    SELECT 'features', uid FROM features
    UNION ALL
    SELECT 'ulabels', uid FROM ulabels
    UNION ALL
    SELECT 'records', uid FROM records
    UNION ALL
    SELECT 'artifacts', uid FROM artifacts
)
GROUP BY table_name, uid
HAVING count(*) > 1;
