-- An entity has a value of a feature once at a time.
SELECT entity, feature_id, entity_id, value_id, count(*) AS times
FROM (
    SELECT 'artifact' AS entity, * FROM current_artifact_annotations
    UNION ALL
    SELECT 'run', * FROM current_run_annotations
    UNION ALL
    SELECT 'record', * FROM current_record_annotations
)
GROUP BY entity, feature_id, entity_id, value_id
HAVING count(*) > 1;
