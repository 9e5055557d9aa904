-- name: infos
SELECT
    f.id,
    f.uid,
    f.name,
    f.dtype,
    f.multiple,
    f.coerce,
    t.name AS type
FROM features AS f
LEFT JOIN features AS t ON f.type_id = t.id
WHERE f.branch_id <> -1 AND NOT f.is_type
ORDER BY f.id;

-- name: usage
SELECT count(*)
FROM (
    SELECT 1 FROM current_artifact_annotations WHERE feature_id IN (SELECT unnest($ids::BIGINT[]))
    UNION ALL
    SELECT 1 FROM current_run_annotations WHERE feature_id IN (SELECT unnest($ids::BIGINT[]))
    UNION ALL
    SELECT 1 FROM current_record_annotations WHERE feature_id IN (SELECT unnest($ids::BIGINT[]))
);

-- name: ever_used
SELECT
    EXISTS (SELECT 1 FROM typed_values WHERE feature_id = $id)
    OR EXISTS (SELECT 1 FROM artifact_annotations WHERE feature_id = $id)
    OR EXISTS (SELECT 1 FROM run_annotations WHERE feature_id = $id)
    OR EXISTS (SELECT 1 FROM record_annotations WHERE feature_id = $id);

-- name: of_category
SELECT id FROM features WHERE dtype = $whole OR starts_with(dtype, $typed);
