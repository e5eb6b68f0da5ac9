export function RuntimeView({ id }: { id: string }) { return <p>{id}</p>; }
