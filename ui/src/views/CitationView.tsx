export function CitationView() { return <p>CitationView</p>; }
