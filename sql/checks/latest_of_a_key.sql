-- Of the artifacts with one key on one branch, the newest is the latest, and no other.
SELECT key, branch_id, list(id ORDER BY id) AS ids
FROM artifacts
WHERE key IS NOT NULL
GROUP BY key, branch_id
HAVING count(*) FILTER (WHERE is_latest) <> 1 OR max(id) <> max(id) FILTER (WHERE is_latest);
