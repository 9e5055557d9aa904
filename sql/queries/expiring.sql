-- What `Store.compact` drops when it is told to: annotations and links that ended, what ended them, and what
-- nobody points at then. As in annotations.sql, tables are named for one kind of entity.

-- name: last_change
-- The last change of which all before it, and it, are older than a moment; NULL is after all of them.
SELECT coalesce(min(id) - 1, 9223372036854775807)
FROM changes
WHERE created_at >= $moment::TIMESTAMP WITH TIME ZONE;

-- name: drop_annotations
DELETE FROM entity_annotations AS a
WHERE EXISTS (
    SELECT 1 FROM entity_removals AS r
    WHERE
        a.feature_id = r.feature_id
        AND a.entity_id = r.entity_id
        AND a.value_id = r.value_id
        AND a.change_id < r.change_id
        AND r.change_id <= $last
);

-- name: drop_removals
DELETE FROM entity_removals WHERE change_id <= $last;

-- name: drop_links
DELETE FROM links AS a
WHERE EXISTS (
    SELECT 1 FROM link_removals AS r
    WHERE
        a.relation = r.relation
        AND a.from_id = r.from_id
        AND a.to_id = r.to_id
        AND a.change_id < r.change_id
        AND r.change_id <= $last
);

-- name: drop_link_removals
DELETE FROM link_removals WHERE change_id <= $last;

-- name: drop_changes
DELETE FROM changes
WHERE id <= $last AND id NOT IN (
    SELECT change_id FROM artifact_annotations
    UNION
    SELECT change_id FROM artifact_removals
    UNION
    SELECT change_id FROM run_annotations
    UNION
    SELECT change_id FROM run_removals
    UNION
    SELECT change_id FROM record_annotations
    UNION
    SELECT change_id FROM record_removals
    UNION
    SELECT change_id FROM links
    UNION
    SELECT change_id FROM link_removals
);

-- name: drop_typed_values
DELETE FROM typed_values AS v
WHERE
    branch_id <> -1
    AND ($moment::TIMESTAMP WITH TIME ZONE IS NULL OR created_at < $moment)
    AND NOT EXISTS (
        SELECT 1
        FROM (
            SELECT feature_id, value_id FROM artifact_annotations
            UNION ALL
            SELECT feature_id, value_id FROM artifact_removals
            UNION ALL
            SELECT feature_id, value_id FROM run_annotations
            UNION ALL
            SELECT feature_id, value_id FROM run_removals
            UNION ALL
            SELECT feature_id, value_id FROM record_annotations
            UNION ALL
            SELECT feature_id, value_id FROM record_removals
        ) AS n
        WHERE n.feature_id = v.feature_id AND n.value_id = v.id
    );

-- name: keep_id_floor
-- So that no id of what was dropped is given out again.
INSERT INTO id_floors SELECT $table, $last;
