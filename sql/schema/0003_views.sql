-- What any DuckDB client can read: values with text and hash, and what holds now.

CREATE VIEW feature_values AS
SELECT
    v.*,
    coalesce(
        v.bool_value::VARCHAR,
        v.int_value::VARCHAR,
        v.float_value::VARCHAR,
        v.text_value,
        v.date_value::VARCHAR,
        v.datetime_value::VARCHAR,
        v.instant_value::VARCHAR,
        v.json_value
    ) AS value,
    left(translate(to_base64(unhex(md5(v.kind || ':' || CASE v.kind
        WHEN 'bool' THEN v.bool_value::VARCHAR
        WHEN 'int' THEN v.int_value::VARCHAR
        WHEN 'float' THEN CASE
            WHEN isnan(v.float_value) THEN '0111111111111000000000000000000000000000000000000000000000000000'
            ELSE v.float_value::BIT::VARCHAR
        END
        WHEN 'str' THEN v.text_value
        WHEN 'date' THEN date_diff('day', DATE '1970-01-01', v.date_value)::VARCHAR
        WHEN 'datetime' THEN epoch_us(v.datetime_value)::VARCHAR
        WHEN 'instant' THEN epoch_us(v.instant_value)::VARCHAR
        ELSE v.json_value
    END))), '+/', '-_'), 22) AS hash
FROM typed_values AS v;

CREATE VIEW current_artifact_annotations AS
SELECT a.*
FROM artifact_annotations AS a
ANTI JOIN artifact_removals AS r
    ON a.feature_id = r.feature_id
    AND a.entity_id = r.entity_id
    AND a.value_id = r.value_id
    AND a.change_id < r.change_id;

CREATE VIEW current_run_annotations AS
SELECT a.*
FROM run_annotations AS a
ANTI JOIN run_removals AS r
    ON a.feature_id = r.feature_id
    AND a.entity_id = r.entity_id
    AND a.value_id = r.value_id
    AND a.change_id < r.change_id;

CREATE VIEW current_record_annotations AS
SELECT a.*
FROM record_annotations AS a
ANTI JOIN record_removals AS r
    ON a.feature_id = r.feature_id
    AND a.entity_id = r.entity_id
    AND a.value_id = r.value_id
    AND a.change_id < r.change_id;

CREATE VIEW current_links AS
SELECT a.*
FROM links AS a
ANTI JOIN link_removals AS r
    ON a.relation = r.relation
    AND a.from_id = r.from_id
    AND a.to_id = r.to_id
    AND a.change_id < r.change_id;
