// SPDX-License-Identifier: Apache-2.0

import CHandlerHost
import Foundation
import HandlerABI
import Synchronization
import Testing

/// Hooks are one for the process: each of these tests has a process of its own.
@Suite struct HookTests {
    struct Heard: Sendable {
        var messages: [String] = []
        var severities: [Int32] = []
        var sizes: [UInt64] = []
        var events: [String] = []
        var registered = 0
        var completions: [Int32] = []
    }

    static let heard = Mutex(Heard())

    static func listen() {
        var hooks = martlet_host_hooks()
        hooks.register_handler = { _ in
            HookTests.heard.withLock { $0.registered += 1 }
            return 7
        }
        hooks.log = { severity, _, message in
            let text = message.map { String(cString: $0) } ?? ""
            HookTests.heard.withLock {
                $0.messages.append(text)
                $0.severities.append(severity)
            }
        }
        hooks.size_changed = { _, byteCount in HookTests.heard.withLock { $0.sizes.append(byteCount) } }
        hooks.event = { _, event in
            let name = String(cString: tcmu_event_name(event))
            HookTests.heard.withLock { $0.events.append(name) }
        }
        martlet_host_install_hooks(&hooks)
    }

    @Test("Registration is the host's to answer, and nothing registers nothing")
    func registration() async {
        await #expect(processExitsWith: .success) {
            HookTests.listen()
            var handler = tcmur_handler()
            #expect(tcmur_register_handler(&handler) == 7)
            #expect(tcmur_register_handler(nil) == -1)
            #expect(!tcmur_unregister_handler(&handler))
            #expect(HookTests.heard.withLock { $0.registered } == 1)
        }
    }

    @Test("A message is one line, whatever the handler puts into it")
    func oneLine() async {
        await #expect(processExitsWith: .success) {
            HookTests.listen()
            martlet_log(LOG_ERR, nil, "first\nsecond\u{1B}[2J\r\n\n")
            #expect(HookTests.heard.withLock { $0.messages } == ["first second [2J"])
            #expect(HookTests.heard.withLock { $0.severities } == [LOG_ERR])
        }
    }

    @Test("A message longer than the buffer is cut")
    func longMessage() async {
        await #expect(processExitsWith: .success) {
            HookTests.listen()
            martlet_log(LOG_WARNING, nil, String(repeating: "x", count: 5000))
            #expect(HookTests.heard.withLock { $0.messages.map(\.utf8.count) } == [Int(TCMU_LOG_BUF_SIZE) - 1])
        }
    }

    @Test("Messages above the level are not heard")
    func level() async {
        await #expect(processExitsWith: .success) {
            HookTests.listen()
            #expect(tcmu_get_log_level() == UInt32(LOG_INFO))
            for (level, expected) in [(LOG_ERR, 1), (LOG_INFO, 3), (LOG_DEBUG, 4)] {
                tcmu_set_log_level(level)
                #expect(tcmu_get_log_level() == UInt32(level))
                HookTests.heard.withLock { $0.messages = [] }
                for severity in [LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG] { martlet_log(severity, nil, "x") }
                #expect(HookTests.heard.withLock { $0.messages.count } == expected)
            }
        }
    }

    @Test("Logging leaves errno alone")
    func errnoStays() async {
        await #expect(processExitsWith: .success) {
            HookTests.listen()
            errno = EXDEV
            martlet_log(LOG_ERR, nil, "x")
            #expect(errno == EXDEV)
        }
    }

    @Test("A CDB is printed as far as its operation code tells its length")
    func printedCDB() async {
        await #expect(processExitsWith: .success) {
            HookTests.listen()
            let device = try TestDevice()
            tcmu_set_log_level(TCMU_LOG_DEBUG + 1)
            for bytes: [UInt8] in [[0, 1, 2, 3, 4, 5], [0xC0, 1]] {
                var cdb = bytes
                cdb.withUnsafeMutableBufferPointer { cdb in
                    var command = tcmulib_cmd()
                    command.cdb = cdb.baseAddress
                    tcmu_cdb_print_info(device.pointer, &command, "seen")
                }
            }
            #expect(HookTests.heard.withLock { $0.messages } == ["CDB 00 01 02 03 04 05 seen", "CDB c0 seen"])
        }
    }

    @Test("A new size is known to the getters, then to the host")
    func newSize() async {
        await #expect(processExitsWith: .success) {
            HookTests.listen()
            let device = try TestDevice()
            #expect(tcmur_dev_update_size(device.pointer, 2 << 20) == 0)
            #expect(tcmu_dev_get_num_lbas(device.pointer) == 4096)
            #expect(tcmu_cfgfs_dev_set_ctrl_u64(device.pointer, "dev_size", 3 << 20) == 0)
            #expect(tcmur_dev_update_size(device.pointer, 0) == -EINVAL)
            #expect(tcmur_dev_update_size(device.pointer, 511) == -EINVAL)
            #expect(tcmu_dev_get_num_lbas(device.pointer) == 6144)
            #expect(HookTests.heard.withLock { $0.sizes } == [2 << 20, 3 << 20])
        }
    }

    @Test("The host's own resize calls no hook and outlives a reopen")
    func hostResize() async {
        await #expect(processExitsWith: .success) {
            HookTests.listen()
            let device = try TestDevice()
            #expect(martlet_host_device_set_byte_count(device.pointer, 4 << 20) == 0)
            #expect(martlet_host_device_set_byte_count(device.pointer, 0) == -EINVAL)
            martlet_host_device_prepare_open(device.pointer)
            #expect(tcmu_dev_get_num_lbas(device.pointer) == 8192)
            #expect(HookTests.heard.withLock { $0.sizes } == [])
        }
    }

    @Test("Events reach the host by name")
    func events() async {
        await #expect(processExitsWith: .success) {
            HookTests.listen()
            let device = try TestDevice()
            tcmu_notify_lock_lost(device.pointer)
            tcmu_notify_conn_lost(device.pointer)
            tcmu_notify_cmd_timed_out(device.pointer)
            #expect(HookTests.heard.withLock { $0.events } == ["lock lost", "connection lost", "command timed out"])
        }
    }

    @Test("A completion goes to whom the command names; one that names nobody is a message")
    func completion() async {
        await #expect(processExitsWith: .success) {
            HookTests.listen()
            let device = try TestDevice()
            var command = tcmur_cmd()
            tcmur_cmd_complete(device.pointer, &command, 0)
            tcmur_cmd_complete(device.pointer, nil, 0)
            #expect(HookTests.heard.withLock { $0.severities } == [LOG_ERR, LOG_ERR])
            command.done = { _, _, status in HookTests.heard.withLock { $0.completions.append(status) } }
            tcmur_cmd_complete(device.pointer, &command, 13)
            tcmur_cmd_complete(device.pointer, &command, -5)
            #expect(HookTests.heard.withLock { $0.completions } == [13, -5])
        }
    }

    @Test("A thread is named after its prefix and device, as far as a name goes")
    func threadName() async {
        await #expect(processExitsWith: .success) {
            let names = [
                ("aio", "lun0", "aio-lun0"), ("a-very-long-prefix", "lun0", "a-very-long-pre"),
                ("abcdefghijkl", "lun0", "abcdefghijkl-lu"), ("aio", "", "aio"),
            ]
            for (prefix, device, expected) in names {
                let device = try TestDevice(name: device)
                tcmu_set_thread_name(prefix, device.pointer)
                #expect(try String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8) == expected + "\n")
            }
        }
    }

    @Test("Log files are named within the log folder, while the name fits")
    func logFile() async {
        await #expect(processExitsWith: .success) {
            var path = [CChar](repeating: 0, count: Int(PATH_MAX))
            let long = String(repeating: "x", count: Int(PATH_MAX))
            #expect(martlet_host_set_log_folder("/srv/log") == 0)
            #expect(tcmu_make_absolute_logfile(&path, "rbd.log") == 0)
            let text = path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            #expect(String(decoding: text, as: UTF8.self) == "/srv/log/rbd.log")
            #expect(tcmu_make_absolute_logfile(&path, long) == -ENAMETOOLONG)
            #expect(tcmu_make_absolute_logfile(&path, "") == -EINVAL)
            #expect(martlet_host_set_log_folder(long) == -ENAMETOOLONG)
        }
    }
}
