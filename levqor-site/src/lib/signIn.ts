import { ApiError } from "@/lib/api";

/** Why nobody can sign in. Beyond loopback an installation without JWT_SECRET or ADMIN_TOKEN has no sign-in at all. */
export function whyNoSignIn(error: Error): string {
  return error instanceof ApiError && error.status === 404 ? "Nobody can sign in here: JWT_SECRET or ADMIN_TOKEN is not set" : error.message;
}
