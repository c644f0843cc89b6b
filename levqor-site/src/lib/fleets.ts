interface Fleet {
  /** Who starts and ends the workers, beside their number. */
  owner: string;
  /** What brings workers where none lives. Code stands between backticks. */
  start: string;
  /** What becomes of a target that a person sets. */
  follows: string;
}

const FLEETS: Record<string, Fleet> = {
  agent: {
    owner: "",
    start: "`levqor up` starts them, `levqor doctor` says why none does.",
    follows: "the fleet follows it at once, up or down; a worker ends after its job.",
  },
  slots: {
    owner: "run by your process manager",
    start: "Levqor starts them through your process manager, `levqor doctor` says why none does.",
    follows: "your process manager is told at once, up or down; a worker ends after its job.",
  },
  external: {
    owner: "run by whoever reads the target",
    start: "Whoever reads the target starts them (KEDA, HireFire, a script of yours); `levqor doctor` says what is known.",
    follows: "Levqor hands it out, and whoever reads it follows when they next ask.",
  },
  none: {
    owner: "run by you",
    start: "Start them as you always do: Levqor only gives advice here.",
    follows: "it is advice only, and no worker is started or ended for it.",
  },
};

const UNKNOWN_FLEET: Fleet = { owner: "", start: "`levqor doctor` says why none does.", follows: "the fleet follows it." };

/** The words for a kind of fleet (FLEET_KIND). */
export function fleetOf(kind: string): Fleet {
  return FLEETS[kind] ?? UNKNOWN_FLEET;
}
