import { LIMITS } from '#base/limits.ts';
import { answerJson, type Exchange } from './answer.ts';
import { nameUnknown } from './fault.ts';
import { pageOf } from './paging.ts';
import type { RepositoryStore } from './repository-store.ts';

/** GET …/tags/list, in lexical order. */
export function getTags(store: RepositoryStore, exchange: Exchange, name: string): void {
  if (store.find(name) === undefined) throw nameUnknown(name);
  const { items, link } = pageOf(store.index.tags(name), `/v2/${name}/tags/list`, exchange.query);
  answerJson(exchange, { name, tags: items }, link === null ? {} : { link });
}

export function getCatalog(store: RepositoryStore, exchange: Exchange): void {
  const { items, link } = pageOf(store.index.names(), '/v2/_catalog', exchange.query);
  answerJson(exchange, { repositories: items }, link === null ? {} : { link });
}

function positive(text: string | null, otherwise: number): number {
  return text !== null && /^\d{1,6}$/.test(text) ? Math.max(1, Number(text)) : otherwise;
}

/** GET /v1/search: repositories whose name has the term in it; what `docker search HOST/term` asks. */
export function getSearch(store: RepositoryStore, exchange: Exchange): void {
  const query = (exchange.query.get('q') ?? '').slice(0, LIMITS.repositoryNameBytes);
  const size = Math.min(positive(exchange.query.get('n'), LIMITS.searchPage), LIMITS.searchPage);
  const page = positive(exchange.query.get('page'), 1);
  const term = query.toLowerCase().replace(/^library\//, '');
  const found = store.index.names().filter((name) => {
    const repository = store.find(name);
    return name.includes(term) && repository !== undefined && repository.manifests.size > 0;
  });
  const results = found.slice((page - 1) * size, page * size).map((name) => ({
    name,
    description: '',
    is_official: false,
    is_automated: false,
    is_trusted: false,
    star_count: 0,
  }));
  answerJson(exchange, {
    query,
    num_results: found.length,
    num_pages: Math.ceil(found.length / size),
    page,
    page_size: size,
    results,
  });
}
