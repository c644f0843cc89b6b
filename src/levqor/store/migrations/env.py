"""Alembic's entry: migrates over the connection that `Database.migrate` hands in."""

from alembic import context

from levqor.store.database import VERSION_TABLE
from levqor.store.schema import SCHEMA, metadata

connection = context.config.attributes["connection"]
is_sqlite = connection.dialect.name == "sqlite"

context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    version_table_schema=None if is_sqlite else SCHEMA,
    include_schemas=not is_sqlite,
    render_as_batch=is_sqlite,
)
context.run_migrations()
