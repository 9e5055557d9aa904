-- Feature values and the annotations that attach them to artifacts, runs and records.

-- One row per distinct (feature, typed value): the kind, and the value in the column of that kind.
-- `dict` and `list` are canonical JSON text. View `feature_values` adds the text and the hash.
CREATE TABLE typed_values (
    id BIGINT NOT NULL,
    feature_id BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    bool_value BOOLEAN,
    int_value BIGINT,
    float_value DOUBLE,
    text_value VARCHAR,
    date_value DATE,
    datetime_value TIMESTAMP,
    instant_value TIMESTAMP WITH TIME ZONE,
    json_value VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

-- One row per operation that wrote annotations or links: who, when, in which run. Ids grow with time.
CREATE TABLE changes (
    id BIGINT NOT NULL,
    operation VARCHAR NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT
);

-- Append-only facts: this entity has this value of this feature since this change. `value_id` is an id in
-- `typed_values`, or in the registry of the feature's category.
CREATE TABLE artifact_annotations (
    feature_id BIGINT NOT NULL,
    entity_id BIGINT NOT NULL,
    value_id BIGINT NOT NULL,
    change_id BIGINT NOT NULL
);

CREATE TABLE run_annotations (
    feature_id BIGINT NOT NULL,
    entity_id BIGINT NOT NULL,
    value_id BIGINT NOT NULL,
    change_id BIGINT NOT NULL
);

CREATE TABLE record_annotations (
    feature_id BIGINT NOT NULL,
    entity_id BIGINT NOT NULL,
    value_id BIGINT NOT NULL,
    change_id BIGINT NOT NULL
);

-- Append-only too: from this change on, the entity no longer has that value.
CREATE TABLE artifact_removals (
    feature_id BIGINT NOT NULL,
    entity_id BIGINT NOT NULL,
    value_id BIGINT NOT NULL,
    change_id BIGINT NOT NULL
);

CREATE TABLE run_removals (
    feature_id BIGINT NOT NULL,
    entity_id BIGINT NOT NULL,
    value_id BIGINT NOT NULL,
    change_id BIGINT NOT NULL
);

CREATE TABLE record_removals (
    feature_id BIGINT NOT NULL,
    entity_id BIGINT NOT NULL,
    value_id BIGINT NOT NULL,
    change_id BIGINT NOT NULL
);
