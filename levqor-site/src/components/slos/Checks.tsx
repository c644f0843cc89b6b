import { Panel } from "@/components/ui/Panel";
import { Pill, type Tone } from "@/components/ui/Pill";
import { Time } from "@/components/ui/Time";
import type { Schemas } from "@/lib/api";

type Series = Schemas["Series"];
type Check = Schemas["Check"];

const TONES: Record<Check["state"], Tone> = { met: "ok", breached: "act", unknown: "unknown" };

/** The last windows of both series, and what would call recovery. */
export function Checks({ series, isStale }: { series: Record<string, Series>; isStale: boolean }) {
  return (
    <Panel title="Checks" isStale={isStale}>
      {Object.entries(series).map(([width, found]) => (
        <section key={width}>
          <p>
            <strong>Windows of {width}:</strong> {found.streak} in a row breached; {found.next}.
          </p>
          {found.checks.length === 0 ? (
            <p>No window has ended yet.</p>
          ) : (
            <ol>
              {found.checks.map((check) => (
                <li key={check.window_start}>
                  <Pill tone={TONES[check.state]}>{check.state}</Pill> <Time at={check.window_start} /> {whyOf(check)}
                </li>
              ))}
            </ol>
          )}
        </section>
      ))}
    </Panel>
  );
}

/** A breach names what broke; what is met says nothing more. */
function whyOf(check: Check): string {
  return Object.entries(check.judgements)
    .filter(([, judgement]) => judgement.state !== "met")
    .map(([name, judgement]) => `${name}: ${judgement.why}`)
    .join("; ");
}
