-- Registries: one table each. No table has a key, an index or a sequence: ids are dense integers handed out
-- under the store's writer lock, and the files in sql/checks prove that they are unique.

-- The highest id ever given out where rows were deleted for good, so that no id is given out twice.
CREATE TABLE id_floors (
    table_name VARCHAR NOT NULL,
    last_id BIGINT NOT NULL
);

-- Where a record was before it was moved to the trash.
CREATE TABLE trashed (
    table_name VARCHAR NOT NULL,
    record_id BIGINT NOT NULL,
    branch_id BIGINT NOT NULL
);

CREATE TABLE users (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    handle VARCHAR NOT NULL,
    name VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE branches (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    description VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE spaces (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    description VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE transforms (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    description VARCHAR,
    kind VARCHAR,
    version VARCHAR,
    is_latest BOOLEAN NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE runs (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR,
    transform_id BIGINT,
    status VARCHAR NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    error VARCHAR,
    reference VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE features (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    dtype VARCHAR,
    unit VARCHAR,
    description VARCHAR,
    synonyms VARCHAR,
    multiple BOOLEAN NOT NULL,
    coerce BOOLEAN NOT NULL,
    is_type BOOLEAN NOT NULL,
    type_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE ulabels (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    description VARCHAR,
    synonyms VARCHAR,
    is_type BOOLEAN NOT NULL,
    type_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE records (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR,
    description VARCHAR,
    synonyms VARCHAR,
    is_type BOOLEAN NOT NULL,
    type_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE artifacts (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    key VARCHAR,
    description VARCHAR,
    path VARCHAR NOT NULL,
    suffix VARCHAR NOT NULL,
    size BIGINT,
    hash VARCHAR,
    n_files BIGINT,
    n_observations BIGINT,
    version VARCHAR,
    is_latest BOOLEAN NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

-- Direct relations between records of any two registries ("artifacts.ulabels", "ulabels.parents", ...):
-- append-only facts, like annotations.
CREATE TABLE links (
    relation VARCHAR NOT NULL,
    from_id BIGINT NOT NULL,
    to_id BIGINT NOT NULL,
    change_id BIGINT NOT NULL
);

CREATE TABLE link_removals (
    relation VARCHAR NOT NULL,
    from_id BIGINT NOT NULL,
    to_id BIGINT NOT NULL,
    change_id BIGINT NOT NULL
);

INSERT INTO branches VALUES
    (-1, 'trash0000000', 'trash', 'what was deleted and can be restored', now(), now(), NULL, NULL, 1, 1),
    (0, 'archive00000', 'archive', 'kept, but hidden from queries', now(), now(), NULL, NULL, 1, 1),
    (1, 'main00000000', 'main', 'where records are unless told otherwise', now(), now(), NULL, NULL, 1, 1);

INSERT INTO spaces VALUES
    (1, 'all000000000', 'all', 'where records live unless told otherwise', now(), now(), NULL, NULL, 1, 1);
