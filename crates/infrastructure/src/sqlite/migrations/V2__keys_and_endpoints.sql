-- Keys that let callers in: what each may do, and the digest of its secret. The secret itself is nowhere.
create table api_keys (
    id text primary key check (length(id) between 1 and 40),
    name text not null,
    digest blob not null check (length(digest) = 32),
    scopes text not null,
    created_at integer not null,
    expires_at integer,
    revoked_at integer
) strict, without rowid;

-- Receivers of our webhooks that have answered 410, which means that they want no more.
create table closed_endpoints (
    address text primary key,
    reason text not null,
    closed_at integer not null
) strict, without rowid;
