"""Root prompt templates, as text files, and what fills them."""
