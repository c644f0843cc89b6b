/** Every page, with the key that opens it after `g`. */
export const PAGES = [
  { href: "/", title: "Overview", key: "o" },
  { href: "/autoscale", title: "Autoscale", key: "a" },
  { href: "/slos", title: "SLOs", key: "l" },
  { href: "/incidents", title: "Incidents", key: "i" },
  { href: "/retention", title: "Retention", key: "r" },
  { href: "/cost", title: "Cost", key: "c" },
  { href: "/schedule", title: "Schedule", key: "s" },
  { href: "/settings", title: "Settings", key: "e" },
] as const;
