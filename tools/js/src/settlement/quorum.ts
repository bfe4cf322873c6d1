/** q = max(m, 2(n − m) + 1): how many make a fact final (spec §5). */
export const final = (m: number, n: number): number => Math.max(m, 2 * (n - m) + 1);
