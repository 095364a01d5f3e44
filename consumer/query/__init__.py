"""Finding, following and converting what is archived. Nothing here writes to an archive or speaks to a broker.

For programs: `search` and `search_async` yield `Found` events; `prefetch.scan` runs work over archives ahead of its reader.
"""

from consumer.query.query import Query
from consumer.query.search import Found, Search, search, search_async

__all__ = ["Found", "Query", "Search", "search", "search_async"]
