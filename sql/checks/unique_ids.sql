-- An id stands once in its table.
SELECT table_name, id, count(*) AS times
FROM (
    SELECT 'users' AS table_name, id FROM users
    UNION ALL
    SELECT 'branches', id FROM branches
    UNION ALL
    SELECT 'spaces', id FROM spaces
    UNION ALL
    SELECT 'transforms', id FROM transforms
    UNION ALL
    SELECT 'runs', id FROM runs
    UNION ALL
    SELECT 'features', id FROM features
    UNION ALL
    SELECT 'ulabels', id FROM ulabels
    UNION ALL
    SELECT 'records', id FROM records
    UNION ALL
    SELECT 'artifacts', id FROM artifacts
    UNION ALL
    SELECT 'typed_values', id FROM typed_values
    UNION ALL
    SELECT 'changes', id FROM changes
)
GROUP BY table_name, id
HAVING count(*) > 1;
