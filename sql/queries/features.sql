-- name: infos
SELECT id, uid, name, dtype, multiple, coerce, type_id
FROM features
WHERE branch_id <> -1 AND NOT is_type
ORDER BY id;

-- name: usage
SELECT count(*)
FROM (
    SELECT 1 FROM current_artifact_annotations WHERE feature_id IN (SELECT unnest($ids::BIGINT[]))
    UNION ALL
    SELECT 1 FROM current_run_annotations WHERE feature_id IN (SELECT unnest($ids::BIGINT[]))
    UNION ALL
    SELECT 1 FROM current_record_annotations WHERE feature_id IN (SELECT unnest($ids::BIGINT[]))
);

-- name: of_category
SELECT id FROM features WHERE dtype = $whole OR starts_with(dtype, $typed);
