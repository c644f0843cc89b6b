interface Hold {
  kind: string;
  owner: string;
}

const OUTSIDE = "outside";

/** Who holds: a person by name; or that the workers were set by other means than Levqor, by nobody it knows. */
export function holderOf(hold: Hold): string {
  return hold.kind === OUTSIDE ? "held: workers set outside Levqor" : `held by ${hold.owner}`;
}
