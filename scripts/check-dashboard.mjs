#!/usr/bin/env node
// usage: check-dashboard.mjs   Starts the real server and a real Prometheus on it, sends a little of everything,
// then asks for every expression of the dashboard: each must give a result. Alerts must name only metrics that exist.
import { spawn, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createEndpoint } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = new URL('..', import.meta.url).pathname
const dir = mkdtempSync(join(tmpdir(), 'sluice-dashboard-'))
const children = []

function start(file, args) {
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  child.log = ''
  child.stderr.on('data', (data) => (child.log += data))
  children.push(child)
  return child
}

// The binary under test, or one built from this tree.
function serverBinary() {
  if (process.env.SLUICE_BIN) return process.env.SLUICE_BIN
  const file = join(dir, 'sluice')
  execFileSync('go', ['build', '-o', file, './cmd/server'], { cwd: root })
  return file
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

async function until(what, child, condition) {
  for (let i = 0; i < 150; i++) {
    if (child.exitCode !== null) break
    if (await condition().catch(() => false)) return
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error(`${what}: not within 30 s\n${child.log}`)
}

const tus = { 'Tus-Resumable': '1.0.0' }
const body = { ...tus, 'Content-Type': 'application/offset+octet-stream' }

// One of everything that a panel counts.
async function load(base) {
  const bytes = new Uint8Array(1 << 20)
  const create = (path, data) => fetch(base + path, { method: 'POST', headers: { ...body, 'Upload-Length': data.length }, body: data })
  const whole = await create('/files/', bytes)
  const url = new URL(whole.headers.get('Location'), base)
  await fetch(url).then((r) => r.arrayBuffer())
  await fetch(url, { method: 'HEAD', headers: tus })
  await fetch(url, { method: 'DELETE', headers: tus })
  await create('/avatars/', new TextEncoder().encode('no picture'))
  await fetch(base + '/files/none', { method: 'PATCH', headers: { ...body, 'Upload-Offset': 0 }, body: 'x' })
}

const endpoint = createEndpoint((request, answer) => request.resume().on('end', () => answer.end()))

async function main() {
  const [port, metricsPort, prometheusPort] = [await freePort(), await freePort(), await freePort()]
  const base = `http://127.0.0.1:${port}`
  endpoint.listen(0, '127.0.0.1')
  await once(endpoint, 'listening')
  const server = start(serverBinary(),
    ['serve', `--webhook=http://127.0.0.1:${endpoint.address().port}/`, '--webhook-private=true', `--listen=127.0.0.1:${port}`, `--private-listen=127.0.0.1:${metricsPort}`, `--data=${join(dir, 'data')}`])
  await until('sluice', server, () => fetch(`http://127.0.0.1:${metricsPort}/readyz`).then((r) => r.ok))

  // The shipped configuration, with the one address and the pace changed.
  const config = readFileSync(join(root, 'deploy/prometheus/prometheus.yml'), 'utf8')
  writeFileSync(join(dir, 'prometheus.yml'),
    config.replace('sluice:8081', `127.0.0.1:${metricsPort}`).replace(/scrape_interval: \S+/, 'scrape_interval: 1s'))
  writeFileSync(join(dir, 'alerts.yml'), readFileSync(join(root, 'deploy/prometheus/alerts.yml')))
  const prometheus = start('prometheus', [`--config.file=${join(dir, 'prometheus.yml')}`, `--storage.tsdb.path=${join(dir, 'tsdb')}`,
    `--web.listen-address=127.0.0.1:${prometheusPort}`, '--log.level=warn'])
  const api = (path, query) => fetch(`http://127.0.0.1:${prometheusPort}/api/v1/${path}?${new URLSearchParams(query)}`).then((r) => r.json())
  const samples = async (query) => {
    const answer = await api('query', { query })
    if (answer.status !== 'success') throw new Error(`${query}: ${answer.error}`)
    return answer.data.result
  }
  await load(base)
  // A rate needs two scrapes of the same series.
  await until('second scrape', prometheus, async () => Number((await samples('count_over_time(up[1m])'))[0]?.value[1]) >= 2)
  await load(base)
  await new Promise((resolve) => setTimeout(resolve, 2000))

  const dashboard = JSON.parse(readFileSync(join(root, 'deploy/grafana/dashboards/sluice.json')))
  const faults = []
  let expressions = 0
  for (const panel of dashboard.panels) {
    for (const { expr } of panel.targets ?? []) {
      expressions++
      const query = expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*')
      if ((await samples(query)).length === 0) faults.push(`panel "${panel.title}": nothing for ${expr}`)
    }
  }

  const { data } = await api('label/__name__/values', {})
  const known = new Set([...data, 'up'])
  const alerts = readFileSync(join(root, 'deploy/prometheus/alerts.yml'), 'utf8')
  for (const [name] of alerts.matchAll(/\b(sluice|tusd|process|go)_[a-z_]+\b/g)) {
    if (!known.has(name)) faults.push(`alerts: no metric ${name}`)
  }
  for (const { health, lastError, name } of (await api('rules', {})).data.groups.flatMap((group) => group.rules)) {
    if (health === 'err') faults.push(`alert ${name}: ${lastError}`)
  }
  if (faults.length) throw new Error(faults.join('\n'))
  console.log(`dashboard: ${expressions} expressions answered by Prometheus, every metric of the alerts exists`)
}

try {
  await main()
} catch (error) {
  console.error(`check-dashboard: ${error.message}`)
  process.exitCode = 1
} finally {
  endpoint.close()
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(children.filter((c) => c.exitCode === null && c.signalCode === null).map((c) => once(c, 'exit')))
  rmSync(dir, { recursive: true, force: true })
}
