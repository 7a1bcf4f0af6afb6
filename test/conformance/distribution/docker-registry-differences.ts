/*
 * Where docker-registry 2.8 does not do what the 1.1 suite asks; ours does. Its verdicts in the newer suite
 * are recorded in test/reference/distribution.json and compared one by one.
 */

const OLD = 'distribution 2.8 takes chunks in any order and forgets the session afterwards';
const REFERRERS = 'distribution 2.8 is older than referrers';
const PAGES = 'distribution 2.8 neither sorts nor pages tags';

export const DOCKER_REGISTRY_FAILURES: Readonly<Record<string, string>> = {
  'Pull / Error codes / 400 response body should contain OCI-conforming JSON message':
    'a tag with a colon becomes a path of its storage: 500',
  'Push / Blob Upload Chunked / Out-of-order blob upload should return 416': OLD,
  'Push / Blob Upload Chunked / Retry previous blob chunk should return 416': OLD,
  'Push / Blob Upload Chunked / Get on stale blob upload should return 204 with a range and location': OLD,
  'Push / Blob Upload Chunked / PATCH request with second chunk should return 202': OLD,
  'Push / Blob Upload Chunked / PUT request with digest should return 201': OLD,
  'Content Discovery / Test content discovery endpoints (listing tags) / GET request to list tags should yield 200 response':
    PAGES,
  'Content Discovery / Test content discovery endpoints (listing tags) / GET number of tags should be limitable by `n` query parameter':
    PAGES,
  'Content Discovery / Test content discovery endpoints (listing tags) / GET start of tag is set by `last` query parameter':
    PAGES,
  'Content Discovery / Test content discovery endpoints (listing references) / GET request to nonexistent blob should result in empty 200 response':
    REFERRERS,
  'Content Discovery / Test content discovery endpoints (listing references) / GET request to existing blob should yield 200':
    REFERRERS,
  'Content Discovery / Test content discovery endpoints (listing references) / GET request to existing blob with filter should yield 200':
    REFERRERS,
  'Content Discovery / Test content discovery endpoints (listing references) / GET request to missing manifest should yield 200':
    REFERRERS,
};

/** What is not asked of it, because it need not. */
export const DOCKER_REGISTRY_SKIPS: Readonly<Record<string, string>> = {
  'Push / Cross-Repository Blob Mount / Cross-mounting without from, and automatic content discovery enabled should return a 201':
    'it looks in no other repository by itself',
};
