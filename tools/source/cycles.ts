interface Visit {
  readonly index: number;
  low: number;
  isOpen: boolean;
}

/**
 * Groups of nodes that reach each other (Tarjan's strongly connected components of more than one node, or a
 * self-loop).
 */
export function findCycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const visits = new Map<string, Visit>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  const visit = (node: string): Visit => {
    const own: Visit = { index: visits.size, low: visits.size, isOpen: true };
    visits.set(node, own);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      const known = visits.get(next);
      if (known === undefined) own.low = Math.min(own.low, visit(next).low);
      else if (known.isOpen) own.low = Math.min(own.low, known.index);
    }
    if (own.low === own.index) {
      const group = stack.splice(stack.indexOf(node));
      for (const member of group) {
        const state = visits.get(member);
        if (state !== undefined) state.isOpen = false;
      }
      if (group.length > 1 || graph.get(node)?.includes(node)) cycles.push(group);
    }
    return own;
  };
  for (const node of graph.keys()) if (!visits.has(node)) visit(node);
  return cycles;
}
