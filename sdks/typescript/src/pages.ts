/** Lists, which the API answers in pages. */

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins; empty on the last one. */
  readonly nextPageToken: string;
}

/**
 * A list. Iterated over, it has all items of all pages, each page asked for when the one before it is used up;
 * `pages()` has them page by page.
 */
export class Pages<T> implements AsyncIterable<T> {
  readonly #items: string;
  readonly #page: (pageToken: string) => Promise<Record<string, unknown>>;

  /**
   * @param items - The name of the list in an answer.
   * @param page - Asks for a page; the first one by an empty token.
   */
  constructor(items: string, page: (pageToken: string) => Promise<Record<string, unknown>>) {
    this.#items = items;
    this.#page = page;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const page of this.pages()) yield* page.items;
  }

  /** The pages themselves. */
  async *pages(): AsyncGenerator<Page<T>, void, undefined> {
    let token = "";
    do {
      const answer = await this.#page(token);
      token = (answer["nextPageToken"] as string | undefined) ?? "";
      yield { items: (answer[this.#items] as T[] | undefined) ?? [], nextPageToken: token };
    } while (token !== "");
  }
}
