-- A removal follows the annotation it ends.
WITH annotations AS (
    SELECT 'artifact' AS entity, * FROM artifact_annotations
    UNION ALL
    SELECT 'run', * FROM run_annotations
    UNION ALL
    SELECT 'record', * FROM record_annotations
),

removals AS (
    SELECT 'artifact' AS entity, * FROM artifact_removals
    UNION ALL
    SELECT 'run', * FROM run_removals
    UNION ALL
    SELECT 'record', * FROM record_removals
)

SELECT r.*
FROM removals AS r
ANTI JOIN annotations AS a
    ON r.entity = a.entity
    AND r.feature_id = a.feature_id
    AND r.entity_id = a.entity_id
    AND r.value_id = a.value_id
    AND r.change_id > a.change_id;
