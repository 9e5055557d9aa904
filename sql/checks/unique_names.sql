-- Outside the trash, a name stands once in its registry and type.
SELECT table_name, name, type_id, count(*) AS times
FROM (
    SELECT 'users' AS table_name, handle AS name, NULL::BIGINT AS type_id FROM users WHERE branch_id <> -1
    UNION ALL
    SELECT 'branches', name, NULL FROM branches WHERE branch_id <> -1
    UNION ALL
    SELECT 'spaces', name, NULL FROM spaces WHERE branch_id <> -1
    UNION ALL
    SELECT 'transforms', key, NULL FROM transforms WHERE branch_id <> -1
    UNION ALL
    SELECT 'features', name, type_id FROM features WHERE branch_id <> -1
    UNION ALL
    SELECT 'ulabels', name, type_id FROM ulabels WHERE branch_id <> -1
    UNION ALL
    SELECT 'records', name, type_id FROM records WHERE branch_id <> -1 AND name IS NOT NULL
)
GROUP BY table_name, name, type_id
HAVING count(*) > 1;
