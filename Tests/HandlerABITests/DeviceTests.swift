// SPDX-License-Identifier: Apache-2.0

import CHandlerHost
import Foundation
import HandlerABI
import Testing

@Suite struct DeviceTests {
    @Test("A device begins as it was configured, with tcmu-runner's defaults")
    func defaults() throws {
        let device = try TestDevice()
        let attributes = martlet_host_device_attributes(device.pointer)
        #expect(attributes.block_count == 2048)
        #expect(attributes.block_byte_count == 512)
        #expect(attributes.max_transfer_length == 128)
        #expect(attributes.optimal_xcopy_length == 128)
        #expect(attributes.max_unmap_length == 32 * 1024 * 1024)
        #expect(attributes.optimal_unmap_granularity == 128)
        #expect(attributes.unmap_granularity_alignment == 0)
        #expect(attributes.split_unmaps)
        #expect(attributes.unmap_enabled)
        #expect(!attributes.write_cache_enabled)
        #expect(!attributes.solid_state_media)
        #expect(!attributes.write_protect_enabled)
    }

    @Test("What a handler sets, the host and the handler read back")
    func setters() throws {
        let device = try TestDevice()
        let dev = device.pointer
        tcmu_dev_set_block_size(dev, 4096)
        tcmu_dev_set_num_lbas(dev, 77)
        tcmu_dev_set_max_xfer_len(dev, 1)
        tcmu_dev_set_opt_xcopy_rw_len(dev, 2)
        tcmu_dev_set_max_unmap_len(dev, 3)
        tcmu_dev_set_opt_unmap_gran(dev, 4, false)
        tcmu_dev_set_unmap_gran_align(dev, 5)
        tcmu_dev_set_unmap_enabled(dev, false)
        tcmu_dev_set_write_cache_enabled(dev, true)
        tcmu_dev_set_solid_state_media(dev, true)
        tcmu_dev_set_write_protect_enabled(dev, true)
        #expect(tcmu_dev_get_block_size(dev) == 4096)
        #expect(tcmu_dev_get_num_lbas(dev) == 77)
        #expect(tcmu_dev_get_max_xfer_len(dev) == 1)
        #expect(tcmu_dev_get_opt_xcopy_rw_len(dev) == 2)
        #expect(tcmu_dev_get_max_unmap_len(dev) == 3)
        #expect(tcmu_dev_get_opt_unmap_gran(dev) == 4)
        #expect(tcmu_dev_get_unmap_gran_align(dev) == 5)
        #expect(!tcmu_dev_get_unmap_enabled(dev))
        #expect(tcmu_dev_get_write_cache_enabled(dev))
        #expect(tcmu_dev_get_solid_state_media(dev))
        #expect(tcmu_dev_get_write_protect_enabled(dev))
        #expect(martlet_device_is_write_protected(dev))
        let attributes = martlet_host_device_attributes(dev)
        #expect(attributes.block_count == 77 && attributes.block_byte_count == 4096)
        #expect(!attributes.split_unmaps && attributes.optimal_unmap_granularity == 4)
    }

    @Test("A block size of zero is not taken")
    func zeroBlockSize() throws {
        let device = try TestDevice()
        tcmu_dev_set_block_size(device.pointer, 0)
        #expect(tcmu_byte_to_lba(device.pointer, 1024) == 2)
    }

    @Test("A byte offset that does not fit saturates")
    func byteOffsetSaturates() throws {
        let device = try TestDevice()
        #expect(tcmu_lba_to_byte(device.pointer, 3) == 1536)
        #expect(tcmu_lba_to_byte(device.pointer, UInt64.max / 512 + 1) == UInt64.max)
    }

    @Test("A handler may take its configuration string apart: a reopen finds it whole")
    func configurationString() throws {
        let device = try TestDevice("zbc/a/b@/c")
        let text = try #require(tcmu_dev_get_cfgstring(device.pointer))
        #expect(String(cString: text) == "zbc/a/b@/c")
        text[3] = 0
        tcmu_dev_set_block_size(device.pointer, 4096)
        #expect(String(cString: martlet_host_device_config_string(device.pointer)) == "zbc/a/b@/c")
        martlet_host_device_prepare_open(device.pointer)
        #expect(String(cString: text) == "zbc/a/b@/c")
        #expect(tcmu_dev_get_block_size(device.pointer) == 512)
    }

    @Test("A string is taken while it fits", arguments: [(4095, true), (4096, false), (10000, false)])
    func configurationStringLimit(_ length: Int, _ fits: Bool) {
        let device = try? TestDevice(String(repeating: "x", count: length))
        #expect((device != nil) == fits)
    }

    @Test("A block size that is no power of two makes no device", arguments: [0, 1000, 513] as [UInt32])
    func blockSizeOfConfiguration(_ blockByteCount: UInt32) {
        "x/y".withCString { text in
            var configuration = martlet_host_device_configuration()
            configuration.config_string = text
            configuration.block_byte_count = blockByteCount
            #expect(martlet_host_device_create(&configuration) == nil)
        }
    }

    @Test("The pointers of handler and host are apart")
    func pointers() throws {
        let device = try TestDevice()
        let first = UnsafeMutableRawPointer(bitPattern: 0x1000)
        let second = UnsafeMutableRawPointer(bitPattern: 0x2000)
        tcmur_dev_set_private(device.pointer, first)
        martlet_host_device_set_context(device.pointer, second)
        #expect(tcmur_dev_get_private(device.pointer) == first)
        #expect(martlet_host_device_context(device.pointer) == second)
        #expect(tcmu_dev_get_private(device.pointer) != first)
        martlet_host_device_prepare_open(device.pointer)
        #expect(tcmur_dev_get_private(device.pointer) == nil)
        #expect(martlet_host_device_context(device.pointer) == second)
    }

    @Test("Handlers that know tcmu-runner's record of a device read its counters in both layouts")
    func runnerDevice() throws {
        let device = try TestDevice()
        tcmu_notify_lock_lost(device.pointer)
        for _ in 0..<2 { tcmu_notify_conn_lost(device.pointer) }
        for _ in 0..<3 { tcmu_notify_cmd_timed_out(device.pointer) }
        let record = try #require(tcmu_dev_get_private(device.pointer))
        for (lockLost, connectionLost, timedOut, lockState) in [(48, 56, 64, 81), (88, 96, 104, 121)] {
            #expect(record.load(fromByteOffset: lockLost, as: UInt64.self) == 1)
            #expect(record.load(fromByteOffset: connectionLost, as: UInt64.self) == 2)
            #expect(record.load(fromByteOffset: timedOut, as: UInt64.self) == 3)
            #expect(Int(record.load(fromByteOffset: lockState, as: UInt8.self)) == TCMUR_DEV_LOCK_UNLOCKED)
        }
    }

    @Test("Questions to the kernel's configuration are answered from the device's")
    func configuration() throws {
        let device = try TestDevice()
        var result: Int32 = 1
        #expect(tcmu_cfgfs_dev_get_info_u64(device.pointer, "Size", &result) == 1 << 20)
        #expect(result == 0)
        #expect(tcmu_cfgfs_dev_get_info_u64(device.pointer, "Colour", &result) == 0)
        #expect(result == -EINVAL)
        #expect(tcmu_cfgfs_dev_get_attr_int(device.pointer, "hw_block_size") == 512)
        #expect(tcmu_cfgfs_dev_get_attr_int(device.pointer, "hw_max_sectors") == 128)
        #expect(tcmu_cfgfs_dev_get_attr_int(device.pointer, "colour") == -ENOENT)
        #expect(martlet_host_device_set_attribute(device.pointer, "colour", 7) == 0)
        #expect(tcmu_cfgfs_dev_get_attr_int(device.pointer, "colour") == 7)
        let serial = tcmu_cfgfs_dev_get_wwn(device.pointer)
        #expect(serial.map { String(cString: $0) } == "S1")
        free(serial)
        #expect(tcmu_cfgfs_dev_get_wwn(try TestDevice(serial: nil).pointer) == nil)
    }

    @Test("Attributes are as many, and their names as long, as there is room for")
    func attributeLimits() throws {
        let device = try TestDevice()
        #expect(
            martlet_host_device_set_attribute(device.pointer, String(repeating: "x", count: 32), 1) == -ENAMETOOLONG)
        for index in 0..<14 { #expect(martlet_host_device_set_attribute(device.pointer, "a\(index)", 1) == 0) }
        #expect(martlet_host_device_set_attribute(device.pointer, "one more", 1) == -ENOSPC)
        #expect(martlet_host_device_set_attribute(device.pointer, "a3", 2) == 0)
    }

    @Test("What only the kernel's ring has is absent, and nothing comes to harm")
    func ring() throws {
        let device = try TestDevice()
        var base: UnsafeMutableRawPointer? = UnsafeMutableRawPointer(bitPattern: 8)
        var length = 1
        var offset = 1
        #expect(tcmu_dev_get_fd(device.pointer) == -1)
        #expect(tcmu_dev_get_memory_info(device.pointer, &base, &length, &offset) == nil)
        #expect(base == nil && length == 0 && offset == 0)
        #expect(tcmu_dev_get_memory_info(device.pointer, nil, nil, nil) == nil)
        #expect(tcmu_dev_get_handler(device.pointer) == nil)
        #expect(tcmu_dev_oooc_supported(device.pointer))
        tcmu_dev_flush_ring(device.pointer)
        #expect(tcmu_cfgfs_get_str("/x") == nil)
        #expect(tcmu_cfgfs_get_int("/x") == -ENOENT)
        #expect(tcmu_cfgfs_set_u32("/x", 1) == -ENOENT)
        #expect(tcmu_cfgfs_set_str("/x", "1", 1) == -ENOENT)
        #expect(tcmu_cfgfs_mod_param_set_u32("x", 1) == -ENOENT)
        #expect(tcmu_cfgfs_dev_exec_action(device.pointer, "block_dev", 1) == 0)
        #expect(tcmu_cfgfs_dev_set_ctrl_u64(device.pointer, "max_data_area_mb", 1) == -ENOENT)
        #expect(String(cString: tcmu_dev_get_uio_name(device.pointer)) == "lun0")
    }
}
