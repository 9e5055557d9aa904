-- name: edges
-- The relations of a hierarchy between given terms: term, and the one above it.
SELECT from_id, to_id
FROM current_links
WHERE
    relation = $relation
    AND from_id IN (SELECT unnest($ids::BIGINT[]))
    AND to_id IN (SELECT unnest($ids::BIGINT[]))
ORDER BY from_id, to_id;
