-- Ontologies: what there are terms of, and the sources they come from. Like the other registries they have no
-- key, index or sequence. The terms above a term are direct relations ("cell_types.parents", ...) in `links`.

-- A release of an ontology, or a file of terms: where terms come from.
CREATE TABLE sources (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    entity VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    version VARCHAR NOT NULL,
    organism VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    options VARCHAR,
    description VARCHAR,
    in_db BOOLEAN NOT NULL,
    currently_used BOOLEAN NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE organisms (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    ontology_id VARCHAR,
    scientific_name VARCHAR,
    synonyms VARCHAR,
    description VARCHAR,
    source_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE genes (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    symbol VARCHAR,
    stable_id VARCHAR,
    ensembl_gene_id VARCHAR,
    ncbi_gene_ids VARCHAR,
    biotype VARCHAR,
    synonyms VARCHAR,
    description VARCHAR,
    organism_id BIGINT,
    source_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE proteins (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    uniprotkb_id VARCHAR,
    length BIGINT,
    gene_symbol VARCHAR,
    ensembl_gene_ids VARCHAR,
    synonyms VARCHAR,
    description VARCHAR,
    organism_id BIGINT,
    source_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE cell_types (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    ontology_id VARCHAR,
    abbr VARCHAR,
    synonyms VARCHAR,
    description VARCHAR,
    source_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE tissues (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    ontology_id VARCHAR,
    abbr VARCHAR,
    synonyms VARCHAR,
    description VARCHAR,
    source_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE diseases (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    ontology_id VARCHAR,
    abbr VARCHAR,
    synonyms VARCHAR,
    description VARCHAR,
    source_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE cell_lines (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    ontology_id VARCHAR,
    abbr VARCHAR,
    synonyms VARCHAR,
    description VARCHAR,
    source_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE phenotypes (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    ontology_id VARCHAR,
    abbr VARCHAR,
    synonyms VARCHAR,
    description VARCHAR,
    source_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE pathways (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    ontology_id VARCHAR,
    abbr VARCHAR,
    synonyms VARCHAR,
    description VARCHAR,
    source_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE developmental_stages (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    ontology_id VARCHAR,
    abbr VARCHAR,
    synonyms VARCHAR,
    description VARCHAR,
    source_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE experimental_factors (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    ontology_id VARCHAR,
    abbr VARCHAR,
    synonyms VARCHAR,
    description VARCHAR,
    molecule VARCHAR,
    instrument VARCHAR,
    measurement VARCHAR,
    source_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);

CREATE TABLE ethnicities (
    id BIGINT NOT NULL,
    uid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    ontology_id VARCHAR,
    abbr VARCHAR,
    synonyms VARCHAR,
    description VARCHAR,
    source_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by_id BIGINT,
    run_id BIGINT,
    branch_id BIGINT NOT NULL,
    space_id BIGINT NOT NULL
);
