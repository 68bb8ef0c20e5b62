// In which country the person's clock says that they are, of those in which 112 is not the number to call. The browser tells
// its time zone to every page; nothing is asked or sent.

const ZONES = {
  US: ["America/New_York", "America/Detroit", "America/Chicago", "America/Denver", "America/Boise", "America/Phoenix", "America/Los_Angeles", "America/Anchorage", "America/Juneau", "America/Sitka", "America/Nome", "America/Adak", "America/Menominee", "America/Indiana/", "America/Indianapolis", "America/Kentucky/", "America/Louisville", "America/North_Dakota/", "Pacific/Honolulu"],
  CA: ["America/Toronto", "America/Montreal", "America/Vancouver", "America/Edmonton", "America/Winnipeg", "America/Regina", "America/Halifax", "America/Moncton", "America/Glace_Bay", "America/St_Johns", "America/Whitehorse", "America/Yellowknife", "America/Iqaluit", "America/Thunder_Bay"],
  MX: ["America/Mexico_City", "America/Monterrey", "America/Merida", "America/Cancun", "America/Chihuahua", "America/Hermosillo", "America/Mazatlan", "America/Tijuana", "America/Ciudad_Juarez", "America/Matamoros"],
  AU: ["Australia/"],
  NZ: ["Pacific/Auckland", "Pacific/Chatham"],
};
const NAMES = { US: "the United States", CA: "Canada", MX: "Mexico", AU: "Australia", NZ: "New Zealand" };

/** {code, name} of the country, or null. */
function place(zone) {
  for (const [code, zones] of Object.entries(ZONES)) if (zones.some((one) => (one.endsWith("/") ? zone.startsWith(one) : zone === one))) return { code, name: NAMES[code] };
  return null;
}

/** Contacts with the number of the place in front of those of nowhere; `numbers` are by country, as the server knows them. */
export function local(contacts, numbers) {
  const here = place(Intl.DateTimeFormat().resolvedOptions().timeZone ?? "");
  const number = here && numbers?.[here.code];
  if (!number || contacts.some((contact) => contact.number === number)) return contacts;
  return [{ name: `Emergency number in ${here.name}`, number, note: "Chosen by the time zone of this device." }, ...contacts];
}
