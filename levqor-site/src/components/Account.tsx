"use client";

import { useState } from "react";

import { Button } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { Time } from "@/components/ui/Time";
import { useSession, useSignIn } from "@/hooks/useSession";
import { whyNoSignIn } from "@/lib/signIn";

/** Signing in with the admin's token, and out. A page that cannot sign in from where it is says why. */
export function Account() {
  const { data: session, error } = useSession();
  const { signIn, signOut } = useSignIn();
  // Which question is open: the answer to one must not open the other.
  const [asking, setAsking] = useState<"in" | "out" | null>(null);
  const [token, setToken] = useState("");
  const [name, setName] = useState("");

  if (session === undefined) {
    return error === undefined ? null : <span title={whyNoSignIn(error)}>sign-in is not available</span>;
  }
  if (session.read_only !== null) return <span title={session.read_only}>read-only</span>;
  const csrf = session.csrf;
  if (csrf !== null) {
    return (
      <>
        <Button onClick={() => setAsking("out")}>{session.name}</Button>
        {asking === "out" && (
          <Confirm title="Sign out?" action="Sign out" onClose={() => setAsking(null)} onConfirm={() => signOut(csrf)}>
            <p>
              Signed in as {session.name}
              {session.expires_at !== null && (
                <>
                  {" "}
                  until <Time at={session.expires_at} />
                </>
              )}
              .
            </p>
          </Confirm>
        )}
      </>
    );
  }
  return (
    <>
      <Button tone="primary" onClick={() => setAsking("in")}>
        Sign in
      </Button>
      {asking === "in" && (
        <Confirm
          title="Sign in"
          action="Sign in"
          isReady={token !== ""}
          onClose={() => setAsking(null)}
          onConfirm={async () => {
            await signIn(token, name.trim());
            setToken("");
          }}
        >
          <label>
            Admin token
            <input type="password" autoComplete="current-password" value={token} required onChange={(event) => setToken(event.target.value)} />
          </label>
          <label>
            Your name, for the audit log
            <input autoComplete="username" value={name} maxLength={100} placeholder="admin" onChange={(event) => setName(event.target.value)} />
          </label>
          <p>
            On this machine the token is in <code>data/admin_token</code>.
          </p>
        </Confirm>
      )}
    </>
  );
}
