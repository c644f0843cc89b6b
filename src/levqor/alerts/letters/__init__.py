"""A summary as a letter: text, and HTML that mail programs show."""
