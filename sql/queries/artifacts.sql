-- name: keys_of
SELECT DISTINCT key FROM artifacts WHERE id IN (SELECT unnest($ids::BIGINT[])) AND key IS NOT NULL;

-- name: mark_latest
UPDATE artifacts
SET is_latest = NOT is_latest
WHERE
    key IN (SELECT unnest($keys::VARCHAR[]))
    AND is_latest <> (id IN (SELECT max(a.id) FROM artifacts AS a GROUP BY a.key, a.branch_id));
