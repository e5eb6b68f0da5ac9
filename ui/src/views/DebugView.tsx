export function DebugView() { return <p>DebugView</p>; }
