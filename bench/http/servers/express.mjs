// express.mjs ROOT PORT: express.static with its defaults.
import express from 'express';

const [root, port] = process.argv.slice(2);
const server = express().use(express.static(root)).listen(Number(port), '127.0.0.1', () => {
  console.log(`ready ${server.address().port}`);
});
