// SPDX-License-Identifier: Apache-2.0

import CHandlerHost
import Foundation
import Testing

/// The test bundle is linked as the server is: what is exported here is exported there.
@Suite struct ExportedSymbolTests {
    /// What handlers of tcmu-runner 1.5.4 to 1.6.2 are known to import.
    static let imported = [
        "tcmur_register_handler", "tcmur_dev_set_private", "tcmur_dev_get_private", "tcmur_cmd_complete",
        "tcmur_dev_update_size", "tcmu_dev_get_private", "tcmu_dev_get_cfgstring", "tcmu_dev_get_num_lbas",
        "tcmu_dev_set_num_lbas", "tcmu_dev_get_block_size", "tcmu_dev_set_block_size", "tcmu_dev_get_max_xfer_len",
        "tcmu_dev_set_max_xfer_len", "tcmu_dev_set_opt_xcopy_rw_len", "tcmu_dev_set_max_unmap_len",
        "tcmu_dev_get_max_unmap_len", "tcmu_dev_set_opt_unmap_gran", "tcmu_dev_get_opt_unmap_gran",
        "tcmu_dev_set_unmap_gran_align", "tcmu_dev_get_unmap_gran_align", "tcmu_dev_set_write_cache_enabled",
        "tcmu_dev_get_write_cache_enabled", "tcmu_dev_set_solid_state_media", "tcmu_dev_get_solid_state_media",
        "tcmu_dev_get_unmap_enabled", "tcmu_dev_get_write_protect_enabled", "tcmu_cfgfs_dev_get_info_u64",
        "tcmu_cfgfs_dev_get_attr_int", "tcmu_cfgfs_dev_get_wwn", "tcmu_cdb_get_lba", "tcmu_cdb_get_xfer_length",
        "tcmu_cdb_get_length", "tcmu_iovec_length", "tcmu_iovec_seek", "tcmu_iovec_compare", "tcmu_iovec_zero",
        "tcmu_iovec_zeroed", "tcmu_memcpy_into_iovec", "tcmu_memcpy_from_iovec", "tcmu_sense_set_data",
        "tcmu_sense_set_info", "tcmu_sense_set_key_specific_info", "tcmu_dbg_message", "tcmu_info_message",
        "tcmu_warn_message", "tcmu_err_message", "tcmu_set_thread_name", "tcmu_notify_lock_lost",
        "tcmu_notify_conn_lost", "tcmu_notify_cmd_timed_out", "tcmu_make_absolute_logfile",
    ]

    /// What tcmu-runner's headers promise besides.
    static let declared = [
        "tcmu_crit_message", "tcmu_dbg_scsi_cmd_message", "tcmu_lba_to_byte", "tcmu_byte_to_lba", "tcmu_cdb_to_byte",
        "tcmu_cdb_print_info", "tcmu_cmd_seek", "__tcmu_sense_set_data", "tcmu_dev_get_opt_xcopy_rw_len",
        "tcmu_dev_set_unmap_enabled", "tcmu_dev_set_write_protect_enabled", "tcmu_dev_get_uio_name",
        "tcmu_get_log_level", "tcmu_set_log_level", "tcmu_thread_cancel", "tcmur_unregister_handler",
        "tcmu_event_name", "__tcmu_is_ework_thread", "tcmu_dev_set_private", "tcmu_dev_get_fd",
        "tcmu_dev_get_memory_info", "tcmu_dev_flush_ring", "tcmu_dev_oooc_supported", "tcmu_dev_get_handler",
        "tcmu_cfgfs_get_str", "tcmu_cfgfs_get_int", "tcmu_cfgfs_set_str", "tcmu_cfgfs_set_u32",
        "tcmu_cfgfs_mod_param_set_u32", "tcmu_cfgfs_dev_exec_action", "tcmu_cfgfs_dev_set_ctrl_u64",
    ]

    /// Handlers carry functions of these names themselves; the host's would take their place.
    static let forbidden = [
        "tcmu_emulate_inquiry", "tcmu_emulate_std_inquiry", "tcmu_emulate_evpd_inquiry",
        "tcmu_emulate_test_unit_ready", "tcmu_emulate_read_capacity_10", "tcmu_emulate_read_capacity_16",
        "tcmu_emulate_mode_sense", "tcmu_emulate_mode_select", "tcmu_emulate_start_stop", "char_to_hex", "strlcpy",
        "zbc_params", "handler_init", "tcmu_rbd_handler", "tcmulib_initialize", "tcmulib_get_next_command",
    ]

    /// The host's own business.
    static let internals = [
        "martlet_host_install_hooks", "martlet_host_device_create", "device_set_byte_count", "host_hooks",
        "runner_device_count", "martlet_handler_extension",
    ]

    @Test("The host exports what handlers import", arguments: imported + declared)
    func exports(_ name: String) {
        #expect(dlsym(nil, name) != nil)
    }

    @Test("The host does not export what handlers bring along, or what is its own", arguments: forbidden + internals)
    func hides(_ name: String) {
        // Some of these names the C library may have, too.
        let found = dlsym(nil, name)
        #expect(found == nil || found == dlsym(dlopen("libc.so.6", RTLD_LAZY), name))
    }

    @Test("No symbol is named twice")
    func listsAreSets() {
        #expect(Set(Self.imported + Self.declared).count == Self.imported.count + Self.declared.count)
    }
}
