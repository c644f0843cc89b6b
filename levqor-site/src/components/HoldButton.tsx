"use client";

import { useState } from "react";

import { Button } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { useOverview } from "@/hooks/useOverview";
import { useChange, useSession } from "@/hooks/useSession";
import { holderOf } from "@/lib/holds";

const HOURS = [1, 2, 8, 24] as const;
const UNTIL_RELEASED = "released";

/** Nothing automatic acts, by one button that is on every page; and the way back. */
export function HoldButton() {
  const holds = useOverview().data?.status.holds ?? [];
  const session = useSession();
  const change = useChange();
  // Which question is open, not whether one is: the answer to it turns the other into the one that fits.
  const [asking, setAsking] = useState<"hold" | "release" | null>(null);
  const [why, setWhy] = useState("");
  const [hours, setHours] = useState<string>("2");
  const isHeld = holds.length > 0;
  const maySign = session.data?.signed_in === true;
  const label = isHeld ? "Release" : "Hold";
  return (
    <>
      <Button
        tone={isHeld ? "primary" : "grave"}
        disabled={!maySign}
        title={maySign ? undefined : "Sign in first"}
        onClick={() => setAsking(isHeld ? "release" : "hold")}
      >
        {label}
      </Button>
      {asking === "release" && (
        <Confirm
          title="Release every hold?"
          action="Release"
          onClose={() => setAsking(null)}
          onConfirm={async () => {
            await change("DELETE", "/ops/holds");
          }}
        >
          <ul>
            {holds.map((hold) => (
              <li key={hold.id}>
                {holderOf(hold)}: {hold.why}
              </li>
            ))}
          </ul>
          <p>From the next tick on Levqor acts again as its flags allow.</p>
        </Confirm>
      )}
      {asking === "hold" && (
        <Confirm
          title="Hold everything automatic?"
          action="Hold"
          tone="grave"
          isReady={why.trim() !== ""}
          onClose={() => setAsking(null)}
          onConfirm={async () => {
            await change("POST", "/ops/holds", { why: why.trim(), ...(hours === UNTIL_RELEASED ? {} : { for_s: Number(hours) * 3600 }) });
          }}
        >
          <p>The workers stay as they are. Levqor goes on measuring and says what it would do; it does nothing by itself.</p>
          <label>
            Why, for the others
            <input value={why} maxLength={500} required onChange={(event) => setWhy(event.target.value)} />
          </label>
          <label>
            For how long
            <select value={hours} onChange={(event) => setHours(event.target.value)}>
              {HOURS.map((number) => (
                <option key={number} value={number}>
                  {number} h
                </option>
              ))}
              <option value={UNTIL_RELEASED}>until it is released</option>
            </select>
          </label>
        </Confirm>
      )}
    </>
  );
}
