-- A feature that takes one value has at most one current value per entity.
SELECT c.entity, c.feature_id, c.entity_id, count(*) AS times
FROM (
    SELECT 'artifact' AS entity, * FROM current_artifact_annotations
    UNION ALL
    SELECT 'run', * FROM current_run_annotations
    UNION ALL
    SELECT 'record', * FROM current_record_annotations
) AS c
JOIN features AS f ON c.feature_id = f.id AND NOT f.multiple
GROUP BY c.entity, c.feature_id, c.entity_id
HAVING count(*) > 1;
