"""One module per format: `render(source, out)` writes a source's text and structure to a `Renderer`."""
