-- The tables are named for one kind of entity here; `statement(name, entity)` puts in the others.

-- name: current
SELECT feature_id, entity_id, value_id
FROM current_entity_annotations
WHERE entity_id IN (SELECT unnest($ids::BIGINT[]));

-- name: current_of_one
SELECT feature_id, entity_id, value_id
FROM current_entity_annotations
WHERE entity_id = $id;

-- name: history
SELECT
    a.feature_id,
    a.value_id,
    a.action,
    c.operation,
    timezone('UTC', c.created_at) AS created_at,
    u.handle AS created_by,
    r.uid AS run,
    coalesce(r.name, t.key) AS run_name,
    v.kind,
    v.bool_value,
    v.int_value,
    CASE WHEN v.minus_zero THEN -abs(v.float_value) ELSE v.float_value END AS float_value,
    v.text_value,
    v.date_value,
    v.datetime_value,
    timezone('UTC', v.instant_value) AS instant_value,
    v.json_value
FROM (
    SELECT *, 'added' AS action FROM entity_annotations WHERE entity_id = $id
    UNION ALL
    SELECT *, 'removed' AS action FROM entity_removals WHERE entity_id = $id
) AS a
JOIN changes AS c ON a.change_id = c.id
LEFT JOIN users AS u ON c.created_by_id = u.id
LEFT JOIN runs AS r ON c.run_id = r.id
LEFT JOIN transforms AS t ON r.transform_id = t.id
LEFT JOIN typed_values AS v ON a.value_id = v.id AND a.feature_id = v.feature_id
ORDER BY a.change_id ASC, a.action DESC, a.feature_id ASC, a.value_id ASC;

-- name: add_links
INSERT INTO entity_annotations (feature_id, entity_id, value_id, change_id)
SELECT unnest($features::BIGINT[]), unnest($entities::BIGINT[]), unnest($values::BIGINT[]), $change::BIGINT;

-- name: remove_links
INSERT INTO entity_removals (feature_id, entity_id, value_id, change_id)
SELECT unnest($features::BIGINT[]), unnest($entities::BIGINT[]), unnest($values::BIGINT[]), $change::BIGINT;

-- name: drop_entities
DELETE FROM entity_annotations WHERE entity_id IN (SELECT unnest($ids::BIGINT[]));

-- name: drop_entity_removals
DELETE FROM entity_removals WHERE entity_id IN (SELECT unnest($ids::BIGINT[]));

-- name: drop_features
DELETE FROM entity_annotations WHERE feature_id IN (SELECT unnest($ids::BIGINT[]));

-- name: drop_feature_removals
DELETE FROM entity_removals WHERE feature_id IN (SELECT unnest($ids::BIGINT[]));

-- name: drop_values
DELETE FROM entity_annotations
WHERE value_id IN (SELECT unnest($ids::BIGINT[])) AND feature_id IN (SELECT unnest($features::BIGINT[]));

-- name: drop_value_removals
DELETE FROM entity_removals
WHERE value_id IN (SELECT unnest($ids::BIGINT[])) AND feature_id IN (SELECT unnest($features::BIGINT[]));
