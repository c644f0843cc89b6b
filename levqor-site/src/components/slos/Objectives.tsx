import { Panel } from "@/components/ui/Panel";
import { Pill, type Tone } from "@/components/ui/Pill";
import type { Schemas } from "@/lib/api";
import { count, percent, UNKNOWN } from "@/lib/format";

type Slo = Schemas["Slo"];
type State = Schemas["Judgement"]["state"];

const TONES: Record<State, Tone> = { met: "ok", breached: "act", unknown: "unknown" };

/** Each objective with its state in the last windows, and its budget. */
export function Objectives({ slo, isStale }: { slo: Slo; isStale: boolean }) {
  return (
    <Panel title="Objectives" isStale={isStale}>
      <div className="scrolls" tabIndex={0} role="region" aria-label="Objectives, table">
        <table>
          <thead>
            <tr>
              <th scope="col">objective</th>
              <th scope="col">now</th>
              <th scope="col">budget left, 30 days</th>
              <th scope="col">counted</th>
              <th scope="col">burn rate</th>
            </tr>
          </thead>
          <tbody>
            {Object.entries(slo.objectives).map(([name, promise]) => {
              const budget = slo.budgets[name];
              return (
                <tr key={name}>
                  <th scope="row">{promise}</th>
                  <td>
                    {Object.entries(slo.now ?? {}).map(([width, judged]) => {
                      const judgement = judged[name];
                      return judgement === undefined ? null : (
                        <span key={width} title={judgement.why}>
                          <Pill tone={TONES[judgement.state]}>
                            {width} {judgement.state}
                          </Pill>{" "}
                        </span>
                      );
                    })}
                    {slo.now === null && <Pill tone="unknown">unknown</Pill>}
                  </td>
                  <td>{budgetText(budget?.budget_left)}</td>
                  <td>{budget === undefined ? UNKNOWN : `${count(budget.bad)} bad of ${count(budget.total)}`}</td>
                  <td>{burnText(budget?.burn ?? {})}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

/** "82 %", or by how much it is overspent. */
export function budgetText(left: number | null | undefined): string {
  if (left === null || left === undefined) return "nothing measured";
  return left < 0 ? `used up, ${percent(-left)} over` : percent(left, 1);
}

function burnText(burn: Record<string, number | null>): string {
  return Object.entries(burn)
    .filter((entry): entry is [string, number] => entry[1] !== null)
    .map(([span, rate]) => `${rate.toFixed(1)}× in ${span}`)
    .join(", ");
}
