/** Where the API is: beside the page, under the server's prefix; or on the host that the build was made for. */
const PREFIX = process.env.NEXT_PUBLIC_BASE_PATH ?? "";
const API = process.env.NEXT_PUBLIC_API_URL ?? "";

export const isHostedElsewhere = API !== "";
export const apiBase = isHostedElsewhere ? API.replace(/\/+$/, "") : PREFIX;
