// The tutorial's stack with sessions that can be revoked: Express, jsonwebtoken, ejs, better-sqlite3.
// Settings: PORT, DATABASE, SHELLS, STATIC, TOKEN_SECRET, PROCESSES.

import cluster from 'node:cluster'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import argon2 from 'argon2'
import Database from 'better-sqlite3'
import compression from 'compression'
import cookieParser from 'cookie-parser'
import ejs from 'ejs'
import express from 'express'
import jwt from 'jsonwebtoken'

const { PORT, DATABASE, SHELLS, STATIC, TOKEN_SECRET } = process.env
const PROCESSES = Number(process.env.PROCESSES)
const SESSION_SECONDS = 24 * 3600

if (PROCESSES > 1 && cluster.isPrimary) {
  for (let i = 0; i < PROCESSES; i++) cluster.fork()
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL')
    process.exit(0)
  })
} else {
  serve()
}

function serve() {
  const db = new Database(DATABASE)
  for (const pragma of ['journal_mode = WAL', 'synchronous = NORMAL', 'busy_timeout = 10000']) db.pragma(pragma)
  const sql = {
    userByEmail: db.prepare('SELECT id, password_hash FROM users WHERE email = ?'),
    userOfSession: db.prepare(`SELECT u.id, u.email, s.id AS session FROM sessions s JOIN users u ON u.id = s.user_id
      WHERE s.id = ? AND s.revoked_at IS NULL AND s.expires_at > ?`),
    addSession: db.prepare('INSERT INTO sessions (id, user_id, expires_at) VALUES (?, ?, ?)'),
    revokeSession: db.prepare('UPDATE sessions SET revoked_at = ? WHERE id = ?'),
    orders: db.prepare('SELECT * FROM orders WHERE user_id = ? AND number < ? ORDER BY number DESC LIMIT 20'),
    order: db.prepare('SELECT * FROM orders WHERE user_id = ? AND number = ?'),
    lines: db.prepare('SELECT sku, name, quantity, unit_price FROM order_lines WHERE order_id = ? ORDER BY position'),
  }
  const now = () => Math.floor(Date.now() / 1000)

  const userOf = (req) => {
    const bearer = req.get('authorization')
    const token = bearer?.startsWith('Bearer ') ? bearer.slice('Bearer '.length) : req.cookies.session
    if (!token) return undefined
    try {
      return sql.userOfSession.get(jwt.verify(token, TOKEN_SECRET, { algorithms: ['HS256'] }).sid, now())
    } catch {
      return undefined
    }
  }
  const requireUser = (req, res, next) => {
    req.user = userOf(req)
    if (!req.user) return res.redirect(303, '/login?next=' + encodeURIComponent(req.originalUrl))
    next()
  }
  const requireToken = (req, res, next) => {
    req.user = userOf(req)
    if (!req.user) return res.sendStatus(401)
    next()
  }
  const startSession = (user) => {
    const sid = randomUUID()
    sql.addSession.run(sid, user.id, now() + SESSION_SECONDS)
    return jwt.sign({ sub: String(user.id), sid }, TOKEN_SECRET, { expiresIn: SESSION_SECONDS })
  }
  const ordersOf = (req) => sql.orders.all(req.user.id, Number(req.query.after ?? Number.MAX_SAFE_INTEGER))

  const app = express()
  app.disable('x-powered-by')
  app.set('views', import.meta.dirname + '/views')
  app.set('view engine', 'ejs')
  app.engine('ejs', ejs.renderFile)
  app.enable('view cache')
  for (const name of ['list_head', 'list_foot', 'order_head', 'order_foot']) {
    app.locals[name] = readFileSync(`${SHELLS}/${name}.html`, 'utf8')
  }
  app.locals.money = (cents) => (cents / 100).toFixed(2)

  app.use(compression())
  app.use('/static', express.static(STATIC, { maxAge: '1y', immutable: true }))
  app.use(cookieParser(), express.urlencoded({ extended: false }), express.json())
  app.get('/healthz', (req, res) => res.send('ok'))
  app.get('/orders', requireUser, (req, res) => res.render('list', { orders: ordersOf(req) }))
  app.get('/orders/:number', requireUser, (req, res) => {
    const order = sql.order.get(req.user.id, Number(req.params.number))
    if (!order) return res.sendStatus(404)
    res.render('order', { order, lines: sql.lines.all(order.id) })
  })
  app.get('/api/userOrders', requireToken, (req, res) => {
    const orders = ordersOf(req)
    res.json({ orders: orders.map(({ id, user_id, ...order }) => order), next: orders.at(-1)?.number ?? null })
  })
  app.post('/login', async (req, res) => {
    const user = sql.userByEmail.get(String(req.body.email))
    if (!user || !(await argon2.verify(user.password_hash, String(req.body.password)))) return res.sendStatus(401)
    const options = { httpOnly: true, secure: true, sameSite: 'strict', path: '/' }
    res.cookie('session', startSession(user), options).redirect(303, '/orders')
  })
  app.post('/logout', requireUser, (req, res) => {
    sql.revokeSession.run(now(), req.user.session)
    res.clearCookie('session').redirect(303, '/login')
  })
  app.listen(Number(PORT), '127.0.0.1')
}
