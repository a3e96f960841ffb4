// A talk in Node: begins at the URL in its first argument, with as many chats as the second says; then answers each
// line on its standard input, the name of a method, with a line of JSON.

import { createInterface } from 'node:readline';

import { Uproar } from '../../src/web/uproar.js';
import { Talk } from './talk.mjs';

const [url, count] = process.argv.slice(2);
const talk = new Talk();
await talk.begin(Uproar, url, Number(count));
console.log('"begun"');
for await (const method of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(talk[method]()));
}
process.exit();
